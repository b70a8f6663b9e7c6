"""Turns tables and saved data sets into JSON Lines. launch/dataset starts it, and has its help."""

import argparse
import csv
import datetime
import decimal
import json
import math
import os
import sys
import tempfile


class Fault(Exception):
    """A problem with its place and remedy in one line, and the exit code."""

    def __init__(self, message, code=3):
        super().__init__(message)
        self.code = code


def csv_rows(path):
    """The rows of a CSV or TSV file, with their line numbers; the first row has the names."""
    csv.field_size_limit(sys.maxsize)
    separator = "\t" if path.lower().endswith(".tsv") else ","
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        names = None
        while True:
            start = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise Fault(f"{path}:{start}: not CSV: {error}; correct the row")
            except UnicodeDecodeError:
                raise Fault(f"{path}: not valid UTF-8; convert the file to UTF-8")
            if not cells:
                continue
            if names is None:
                names = cells
                twice = next((name for name in names if names.count(name) > 1), None)
                if twice is not None:
                    raise Fault(f"{path}:{start}: two columns have the name '{twice}'; rename one")
                continue
            if len(cells) != len(names):
                raise Fault(
                    f"{path}:{start}: {len(cells)} cells, but {len(names)} columns; quote cells that contain "
                    f"'{separator}' or line breaks")
            yield f"{path}:{start}", dict(zip(names, cells))
    if names is None:
        raise Fault(f"{path}: the file is empty; check that it was written completely")


def arrow_rows(path):
    """The rows of a Parquet or Arrow file (a stream, as save_to_disk writes, or a file), batch by batch."""
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    def batches():
        if path.lower().endswith(".parquet"):
            yield from pyarrow.parquet.ParquetFile(path).iter_batches(1024)
            return
        with pyarrow.memory_map(path) as source:
            try:
                reader = pyarrow.ipc.open_stream(source)
            except pyarrow.ArrowInvalid:
                file = pyarrow.ipc.open_file(source)
                for index in range(file.num_record_batches):
                    yield file.get_batch(index)
                return
            yield from reader

    number = 0
    try:
        for batch in batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise Fault(f"{path}: cannot be read as {'Parquet' if path.lower().endswith('.parquet') else 'Arrow'}: "
                    f"{str(error).splitlines()[0]}; check that it was written completely")


def saved_files(folder, split):
    """The Arrow files of a folder that save_to_disk wrote, or the Parquet files in a folder."""
    splits = os.path.join(folder, "dataset_dict.json")
    if os.path.exists(splits):
        names = read_json(splits).get("splits", [])
        if split is None:
            raise Fault(f"{folder}: has the splits {', '.join(names)}; choose one with --split", 2)
        if split not in names:
            raise Fault(f"{folder}: has no split '{split}'; choose one of {', '.join(names)}", 2)
        return saved_files(os.path.join(folder, split), None)
    if split is not None:
        raise Fault(f"{folder}: is not a saved data set with several splits; omit --split", 2)
    state = os.path.join(folder, "state.json")
    if os.path.exists(state):
        names = [entry["filename"] for entry in read_json(state).get("_data_files", [])]
    else:
        names = sorted(name for name in os.listdir(folder) if name.lower().endswith(".parquet"))
    if not names:
        raise Fault(f"{folder}: neither a saved data set nor a folder with Parquet files; name a file", 2)
    return [os.path.join(folder, name) for name in names]


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise Fault(f"{path}: not JSON: {error}; save the data set again")


def rows(path, split):
    if os.path.isdir(path):
        for file in saved_files(path, split):
            yield from arrow_rows(file)
        return
    if not os.path.exists(path):
        raise Fault(f"{path}: no such file; check the path", 1)
    ending = os.path.splitext(path)[1].lower()
    if split is not None:
        raise Fault(f"{path}: is a file without splits; omit --split", 2)
    if ending in (".csv", ".tsv"):
        yield from csv_rows(path)
    elif ending in (".parquet", ".arrow", ".feather"):
        yield from arrow_rows(path)
    else:
        raise Fault(f"{path}: not a .parquet, .arrow, .csv or .tsv file, nor a saved data set; "
                    "JSON Lines and JSON lists are read directly", 2)


def plain(value, column, place):
    """A value as JSON has it; times and decimal numbers as text, and numbers that are not finite as null."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): plain(item, column, place) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, column, place) for item in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, datetime.timedelta)):
        return str(value)
    raise Fault(f"{place}: the column '{column}' holds {type(value).__name__}, which JSON cannot; "
                f"leave it out with --drop {column}")


def member(row, name):
    """The value of a column, or at a path of members; None if it is missing."""
    if name in row:
        return row[name]
    value = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def converted(row, place, options):
    """The members of a line; None for a row without a wanted value that may be skipped."""
    result = {name: plain(value, name, place) for name, value in row.items() if name not in options.drop}
    for target in ("prompt", "answer", "text"):
        name = getattr(options, target)
        if name is None:
            continue
        value = plain(member(row, name), name, place)
        if value is None or value == "" or value == []:
            if options.skip_empty:
                return None
            columns = ", ".join(list(row)[:8])
            raise Fault(f"{place}: no value in '{name}' (columns: {columns}); name another column, or leave such rows "
                        "out with --skip-empty")
        if isinstance(value, (bool, int, float)):
            value = json.dumps(value)
        result[target] = value
    return result


def convert(options, file):
    count = skipped = 0
    for path in options.inputs:
        for place, row in rows(path, options.split):
            if options.limit is not None and count >= options.limit:
                return count, skipped
            line = converted(row, place, options)
            if line is None:
                skipped += 1
                continue
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    if count == 0:
        raise Fault(f"{', '.join(options.inputs)}: no rows")
    return count, skipped


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Fault(f"{message}; see launch/dataset --help", 2)


def arguments(words):
    parser = Parser(prog="launch/dataset", add_help=False, allow_abbrev=False)
    parser.add_argument("inputs", nargs="+", metavar="INPUT")
    parser.add_argument("-o", "--output")
    for name in ("--split", "--prompt", "--answer", "--text"):
        parser.add_argument(name)
    parser.add_argument("--drop", action="append", default=[])
    parser.add_argument("--skip-empty", action="store_true")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args(words)
    if options.limit is not None and options.limit < 1:
        raise Fault(f"--limit must be 1 or more, got {options.limit}", 2)
    if options.output and os.path.lexists(options.output) and not options.force:
        raise Fault(f"{options.output}: exists; give another name, or --force to replace it", 2)
    if options.output and os.path.isdir(options.output):
        raise Fault(f"{options.output}: is a directory; give the name of a file", 2)
    return options


def run(words):
    options = arguments(words)
    if not options.output:
        return convert(options, sys.stdout), "standard output"
    # A file under its final name is complete.
    folder = os.path.dirname(os.path.abspath(options.output))
    if not os.path.isdir(folder):
        raise Fault(f"{folder}: no such folder; create it first", 1)
    handle, partial = tempfile.mkstemp(prefix=".dataset-", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            counts = convert(options, file)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, options.output)
    except BaseException:
        os.unlink(partial)
        raise
    return counts, options.output


def main():
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        (count, skipped), target = run(sys.argv[1:])
    except Fault as fault:
        print(f"quillan: {fault}", file=sys.stderr)
        return fault.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        print(f"quillan: {error.filename or 'dataset'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    left = f", {skipped} left out" if skipped else ""
    print(f"{count} rows written to {target}{left}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
