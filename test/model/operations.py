"""Plays random operations on a tree as fast as it can: operations.py DIR SEED COUNT."""
import ctypes
import os
import random
import shutil
import sys

top, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_EXCHANGE = -100, 2
# One has a line feed, one is not UTF-8.
names = ["a", "b", "c", "d", "l\nf", os.fsdecode(b"bad\xff")]


def paths():
    found = []
    for where, dirs, files in os.walk(top):
        found += [os.path.join(where, name) for name in dirs + files]
    return found


def anywhere():
    """A name that may be taken, in a directory that is there."""
    dirs = [top] + [path for path in paths() if os.path.isdir(path) and not os.path.islink(path)]
    where = rng.choice([one for one in dirs if one.count("/") - top.count("/") < 4])
    return os.path.join(where, rng.choice(names))


def present():
    found = paths()
    return rng.choice(found) if found else anywhere()


def content():
    return rng.choice(["one\n", "two\n", "three\n"]) + (str(rng.random()) if rng.random() < 0.7 else "")


def create():
    path = anywhere()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(fd, content().encode())
    os.close(fd)


def write():
    path = present()
    with open(path, rng.choice(["w", "a"])) as file:
        file.write(content())


def save():
    path = present()
    if os.path.isdir(path):
        return
    with open(path + ".tmp", "w") as file:
        file.write(content())
    os.rename(path + ".tmp", path)


def rename():
    os.rename(present(), anywhere())


def exchange():
    one, other = present(), present()
    libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)


def backup():
    """mv d d~; mkdir d; echo x > d/new."""
    path = present()
    if not os.path.isdir(path) or os.path.islink(path):
        return
    os.rename(path, path + "~")
    os.mkdir(path)
    with open(os.path.join(path, rng.choice(names)), "w") as file:
        file.write(content())


def outside():
    """Out of the tree and into it again."""
    away = os.path.join(os.path.dirname(top), "outside", str(rng.randrange(3)))
    if os.path.lexists(away):
        os.rename(away, anywhere())
    else:
        os.rename(present(), away)


def remove():
    path = present()
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def copy():
    path, to = present(), anywhere()
    if os.path.lexists(to) or to.startswith(path + "/"):
        return
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.copytree(path, to, symlinks=True)
    else:
        shutil.copy2(path, to, follow_symlinks=False)


def retype():
    path = present()
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
        os.symlink("nowhere", path)
    else:
        os.unlink(path)
        os.mkdir(path)


deeds = [
    (create, 6),
    (write, 3),
    (save, 2),
    (rename, 4),
    (exchange, 1),
    (backup, 1),
    (outside, 1),
    (remove, 1),
    (copy, 1),
    (retype, 1),
    (lambda: os.mkdir(anywhere()), 2),
    (lambda: os.link(present(), anywhere()), 1),
    (lambda: os.symlink(rng.choice(names), anywhere()), 1),
    (lambda: os.chmod(present(), rng.choice([0o600, 0o640, 0o755])), 2),
    (lambda: os.chown(present(), rng.choice([0, 1]), rng.choice([0, 1]), follow_symlinks=False), 1),
]
weighted = [deed for deed, weight in deeds for _ in range(weight)]
os.makedirs(os.path.join(os.path.dirname(top), "outside"), exist_ok=True)
for _ in range(count):
    if len(paths()) > 250:
        remove()
        continue
    try:
        rng.choice(weighted)()
    except OSError:
        pass
