#!/usr/bin/python3
"""Holds the sources to the laws of docs/code.md, whose table says what each module may use.

1. A module includes headers only of itself, of base, and of the modules that its row names.
2. The modules that the table marks "rules" are the only ones that read a field of df_rules.
3. No files call each other in a circle, except inside the modules that the table marks "circles".

Usage: laws.py BUILD, where BUILD is a Debug build of the sources, whose object files say who
calls whom.
"""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def read_table():
    """Rows of the table of modules: path -> (used modules, marks)."""
    rows = {}
    for line in (ROOT / "docs/code.md").read_text().splitlines():
        row = re.match(r"\| (src|search)/(\w+) \| [^|]* \|([\w, ]*)\|([\w, ]*)\|$", line)
        if row:
            names = [set(re.findall(r"\w+", text)) for text in row.group(3, 4)]
            rows[f"{row.group(1)}/{row.group(2)}"] = names
    return rows


def sources(module):
    return sorted(p for p in (ROOT / module).iterdir() if p.suffix in (".c", ".h"))


def check_includes(rows):
    names = {path.split("/")[1]: path for path in rows}
    for module, (uses, _) in rows.items():
        allowed = uses | {module.split("/")[1], "base"}
        for file in sources(module):
            for line, text in enumerate(file.read_text().splitlines(), 1):
                include = re.match(r'#include "(\w+)/', text)
                if include and include.group(1) in names and include.group(1) not in allowed:
                    yield f"{file.relative_to(ROOT)}:{line}: {module} may not use {include.group(1)}"


def check_rules(rows):
    fields = re.findall(r"^    bool (\w+);", (ROOT / "src/rules/rules.h").read_text(), re.M)
    read = re.compile(r"(?:->|\.)(" + "|".join(fields) + r")\b")
    for module, (_, marks) in rows.items():
        if "rules" in marks:
            continue
        for file in sources(module):
            for line, text in enumerate(file.read_text().splitlines(), 1):
                if "rules" in text and read.search(text):
                    rule = read.search(text).group(1)
                    yield f"{file.relative_to(ROOT)}:{line}: {module} may not read the rule {rule}"


def find_objects(build, rows):
    """source -> its object file. Objects of sources that are gone are left out."""
    built = {(folder, p.name[:-2]): p
             for p in build.rglob("*.c.o") for folder in p.relative_to(build).parts}
    objects = {}
    for module in rows:
        for file in sources(module):
            if file.suffix == ".c":
                objects[file] = built.get((file.parent.name, file.name))
                if not objects[file]:
                    sys.exit(f"{file.relative_to(ROOT)} has no object file in {build}: build it first")
    return objects


def calls(objects, module):
    """file -> files of the module whose functions it calls."""
    defined, undefined = {}, collections.defaultdict(set)
    for file, object_file in objects.items():
        if file.parent != ROOT / module:
            continue
        output = subprocess.run(["nm", "-g", object_file], capture_output=True, text=True, check=True)
        for kind, symbol in re.findall(r" ([A-Z]) (\w+)$", output.stdout, re.M):
            if kind == "U":
                undefined[file.name].add(symbol)
            else:
                defined[symbol] = file.name
    return {file: {defined[s] for s in symbols if s in defined} - {file}
            for file, symbols in undefined.items()}


def reached(graph, start):
    seen, stack = set(), [start]
    while stack:
        for other in graph.get(stack.pop(), ()):
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return seen


def check_circles(rows, build):
    objects = find_objects(build, rows)
    for module, (_, marks) in rows.items():
        graph = calls(objects, module) if "circles" not in marks else {}
        circle = sorted(file for file in graph if file in reached(graph, file))
        if circle:
            yield f"{module}: {', '.join(circle)} call each other in a circle"


def main():
    rows = read_table()
    missing = [p for top in ("src", "search") for p in (ROOT / top).iterdir()
               if p.is_dir() and p.name != "cli" and f"{top}/{p.name}" not in rows]
    found = [f"docs/code.md: no row for {p.relative_to(ROOT)}" for p in missing]
    found += check_includes(rows)
    found += check_rules(rows)
    found += check_circles(rows, pathlib.Path(sys.argv[1]))
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
