#!/usr/bin/env python3
"""Says which scenarios of the chaos matrix have a test with their number.

usage: matrix.py SOURCES

Fails if one of the 63 has none, or if spec/faults.md does not list it. With
REENACT_SCOREBOARD set, appends how many there are to that file.
"""

import os
import pathlib
import re
import sys

SCENARIOS = range(1, 64)


def numbers_in(text):
    """'chaos 26, 27 ...' -> 26, 27"""
    for match in re.finditer(r'chaos (\d+(?:, \d+)*)', text):
        yield from (int(number) for number in match[1].split(', '))


def main():
    root = pathlib.Path(sys.argv[1])
    tested = set()
    for path in sorted((root / 'tests').rglob('*')):
        if path.suffix == '.cc' or path.name == 'CMakeLists.txt':
            tested.update(numbers_in(path.read_text(encoding='utf-8')))
    spec = (root / 'spec' / 'faults.md').read_text(encoding='utf-8')
    listed = {int(n) for n in re.findall(r'^\| (\d+) \|', spec, re.MULTILINE)}
    untested = [n for n in SCENARIOS if n not in tested]
    unlisted = [n for n in SCENARIOS if n not in listed]
    print(f'{len(SCENARIOS) - len(untested)} of {len(SCENARIOS)} scenarios '
          'have a test')
    if untested:
        print('without a test:', *untested)
    if unlisted:
        print('not in spec/faults.md:', *unlisted)
    board = os.environ.get('REENACT_SCOREBOARD')
    if board:
        with open(board, 'a', encoding='utf-8') as file:
            count = len(SCENARIOS) - len(untested)
            file.write(f'scoreboard: chaos scenarios with a test {count}\n')
    return 1 if untested or unlisted else 0


if __name__ == '__main__':
    sys.exit(main())
