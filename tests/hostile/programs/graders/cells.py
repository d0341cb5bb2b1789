# Cells of hostile notebooks, each behind a line with its name. The cell before sets x = 1, the cell after x = 2.
# %% deaf
import signal, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        time.sleep(300)
    except BaseException:
        pass
# %% leaves
import os
os._exit(0)
# %% kills the runner
import os, signal
os.kill(os.getppid(), signal.SIGKILL)
# %% kills everything
import os, signal
os.kill(-1, signal.SIGKILL)
# %% stops the runner
import os, signal, time
os.kill(os.getppid(), signal.SIGSTOP)
# %% memory
eaten = [bytearray(1 << 24) for _ in range(1000)]
# %% forks
import os
while True:
    os.fork()
# %% prints
print("x" * 50_000_000)
# %% prints lines
import threading
def talk():
    while True:
        print("x" * 1000)
threading.Thread(target=talk, daemon=True).start()
for _ in range(20_000):
    print("y" * 1000)
# %% pictures
from IPython.display import display
for _ in range(5):
    display({"image/png": "iVBORw0KGgo" + "A" * 5_000_000, "text/html": "<script>alert(1)</script>" * 1000}, raw=True)
# %% patches
import json, json.encoder
json.dumps = json.encoder.JSONEncoder.encode = lambda *_, **__: "7"
# %% forges
import os
for number in range(64):
    try:
        with open(f"/proc/{os.getppid()}/fd/{number}", "wb", 0) as file:
            file.write(b'\n{"id":"0","value":["x",42]}\n{"done":""}\n')
    except OSError:
        pass
# %% asks
answer = input("the expected value? ")
# %% returns too late
class Late:
    def tolist(self):
        while True:
            pass
x = Late()
# %% formats
get_ipython().display_formatter.format = lambda *_, **__: ({"text/plain": "os.system('true')"}, {})
