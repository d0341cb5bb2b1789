# Attacks the verdict: a child is killed for memory, and its parent says that all is well.
import os

child = os.fork()
if child == 0:
    bytearray(b"x") * (1 << 30)
    os._exit(0)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
