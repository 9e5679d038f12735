#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layout of everything that plugins and cofd share, made from the headers in sdk/include.

    layout.py print            write the layout as it is to standard output
    layout.py compare RECORD   compare it with a record; status 1 where they differ
    layout.py record RECORD    make it the record

CC is the compiler. The record holds the size of each structure, offset, size and declaration of
each field, each constant, and each function of the library.
"""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "include")
HEADERS = sorted(glob.glob(os.path.join(INCLUDE, "cofd", "*.h")))


def source():
    """All headers as one text, without comments, with one space where there is white space."""
    text = ""
    for path in HEADERS:
        with open(path, encoding="utf-8") as lines:
            text += lines.read()
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def split(text, separator):
    """Parts of a text between separators that stand in no parentheses."""
    parts, depth, part = [], 0, ""
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == separator and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    return [" ".join(p.split()) for p in parts + [part] if p.strip()]


def fields(body):
    """Name and declaration of each field in the body of a structure."""
    for declaration in split(body, ";"):
        pointer = re.match(r"(.*)\(\*(\w+)\)(\(.*\))$", declaration)
        if pointer:
            yield pointer.group(2), declaration
            continue
        first, *others = split(declaration, ",")
        kind = re.match(r"(.*?)(\**\s*\w+(\[.*\])?)$", first).group(1).strip()
        for part in [first[len(kind):].strip()] + others:
            yield re.match(r"[\s*]*(\w+)", part).group(1), (kind + " " + part).strip()


def structures(text):
    for match in re.finditer(r"\bstruct (cof_\w+)\s*\{(.*?)\n\};", text, re.S):
        yield match.group(1), list(fields(match.group(2)))


def constants(text):
    for match in re.finditer(r"\benum(?: \w+)?\s*\{(.*?)\}", text, re.S):
        for part in split(match.group(1), ","):
            yield part.split("=")[0].strip()
    for match in re.finditer(r"^#define (COF_\w+)[ \t]+([\w(][\w ()*+<-]*)$", text, re.M):
        if not match.group(2).startswith("__attribute__"):
            yield match.group(1)


def functions(text):
    """Prototypes of what the library exports; typedefs of callbacks count as well."""
    text = re.sub(r"^#.*?(?<!\\)$", "", text, flags=re.M | re.S)
    text = re.sub(r"static inline.*?\n\}", "", text, flags=re.S)
    for match in re.finditer(r"^(?!static)((?:typedef )?[\w ]+[ *]+\(?\*?cof_\w+\)?\([^{};]*\))"
                             r"(?:\s*__attribute__[^;]*)?;", text, re.M):
        yield " ".join(match.group(1).split())


def program(text):
    lines = ['#include <stddef.h>', '#include <stdio.h>']
    lines += ['#include <cofd/%s>' % os.path.basename(h) for h in HEADERS]
    lines += ['int main(void)', '{', 'if (sizeof(void *) != 8 || sizeof(long) != 8) return 77;']
    for name, members in structures(text):
        lines.append('printf("struct %s size %%zu\\n", sizeof(struct %s));' % (name, name))
        for field, declaration in members:
            lines.append('printf("  %%zu %%zu %s\\n", offsetof(struct %s, %s), '
                         'sizeof(((struct %s *)0)->%s));' % (declaration, name, field, name, field))
    for name in sorted(set(constants(text))):
        lines.append('printf("constant %s %%lld\\n", (long long)%s);' % (name, name))
    for prototype in sorted(set(functions(text))):
        lines.append('puts("function %s");' % prototype)
    return "\n".join(lines + ['return 0;', '}']) + "\n"


def layout():
    """The layout as lines, or None where this machine has another one (not LP64 of x86-64)."""
    if os.uname().machine != "x86_64":
        return None
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "layout.c")
        with open(path, "w", encoding="utf-8") as out:
            out.write(program(source()))
        target = os.path.join(directory, "layout")
        compiler = shlex.split(os.environ.get("CC") or os.environ.get("COFD_CC") or "cc")
        subprocess.run(compiler + ["-std=gnu11", "-I" + INCLUDE, "-o", target, path], check=True)
        done = subprocess.run([target], stdout=subprocess.PIPE, check=False)
    return None if done.returncode == 77 else done.stdout.decode().splitlines()


def differences(old, new):
    """Lines that say what is gone and what is new, in the order of the layouts."""
    in_new, in_old = set(numbered(new)), set(numbered(old))
    return ["-" + line for line in numbered(old) if line not in in_new] + \
           ["+" + line for line in numbered(new) if line not in in_old]


def numbered(lines):
    """Each field with the structure that it is in, so that equal lines differ."""
    owner = ""
    for line in lines:
        if not line.startswith("  "):
            owner = ""
        yield (owner + line) if owner else line
        if line.startswith("struct "):
            owner = line.split()[1] + ":"


def read(path):
    with open(path, encoding="utf-8") as lines:
        return lines.read().splitlines()


def verdict(changes):
    """What a change asks of the numbers of the ABI: the policy is in sdk/README.md."""
    gone = [c for c in changes if c.startswith("-") and not re.match(r"-struct \w+ size", c)
            and not c.startswith("-constant COF_ABI_")]
    return "something is gone or has moved: COF_ABI_MAJOR" if gone else \
        "something was appended: COF_ABI_MINOR"


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("print", "compare", "record") or \
            (sys.argv[1] != "print") != (len(sys.argv) == 3):
        sys.exit(__doc__)
    lines = layout()
    if lines is None:
        print("only the layout of x86-64 with 64 bit pointers is recorded", file=sys.stderr)
        sys.exit(77)
    if sys.argv[1] == "print":
        print("\n".join(lines))
        return
    if sys.argv[1] == "record":
        with open(sys.argv[2], "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        return
    changes = differences(read(sys.argv[2]), lines)
    for change in changes:
        print(change)
    if changes:
        print("The layout differs from the record; %s has to grow once this ABI is released.\n"
              "Where it is on purpose: make abi-record" % verdict(changes))
        sys.exit(1)


if __name__ == "__main__":
    main()
