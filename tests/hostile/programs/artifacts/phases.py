# Attacks the next phase: leaves links where the platform or the next program may write.
import os

for name in ("stdin", "stdout", "stderr", "stdout.txt", "run.sh", "result.json", "metadata", ".lock", "report.json"):
    os.symlink("/box/victim", name)
with open("victim", "w") as file:
    file.write("untouched")
os.mkdir("output")
os.symlink("/tmp", "output/deeper")
os.chmod("/box", 0o500)
print("done")
