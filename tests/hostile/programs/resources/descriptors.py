# Attacks the table of open files: opens until it is refused, in itself and in children.
import os

for _ in range(5):
    if os.fork() == 0:
        break
opened = 0
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
        opened += 1
except OSError as error:
    os.write(1, f"{opened} {error.errno}\n".encode())
