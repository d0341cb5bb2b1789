# Attacks what a container cannot hide of its mounts: prints them.
print(open("/proc/self/mountinfo").read())
