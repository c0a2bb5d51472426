"""Compiles the function before its image is made: what would not load fails the build, with file and line.

Fails for handler.py and for what it imports whenever it is loaded. Other files may be anything, e.g. samples of another
Python: an error in one of those is only told.
"""

import ast
import os
import sys
import traceback
import warnings

IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError"}
WARNINGS_SHOWN = 10


def main():
    # What they say is said when the code runs.
    warnings.simplefilter("ignore")
    needed = {}
    for part in ("", "handler"):
        reach(part, needed)
    broken = {path: error for path, error in needed.items() if error is not None}
    warn_of(path for path in python_files() if path not in needed)
    for error in broken.values():
        sys.stderr.write("".join(traceback.format_exception_only(type(error), error)))
    return 1 if broken else 0


def reach(name, needed):
    """Notes the file of a module below this folder, and of all that it imports while it is loaded."""
    path, is_package = find(name)
    if path is None or path in needed:
        return
    tree, needed[path] = parse(path)
    if tree is None:
        return
    package = name if is_package else name.rpartition(".")[0]
    for other in imports(tree.body, package):
        # A package is loaded before what is in it.
        parts = other.split(".")
        for end in range(1, len(parts) + 1):
            reach(".".join(parts[:end]), needed)


def find(name):
    folder = name.replace(".", os.sep)
    package = os.path.join(folder, "__init__.py")
    if os.path.isfile(package):
        return os.path.normpath(package), True
    module = folder + ".py"
    return (module, False) if name and os.path.isfile(module) else (None, False)


def parse(path):
    with open(path, "rb") as file:
        source = file.read()
    try:
        # Some errors are only found by the compiler: a return outside a function.
        compile(source, path, "exec", dont_inherit=True)
        return ast.parse(source, path), None
    except SyntaxError as error:
        return None, error
    except (ValueError, RecursionError) as error:  # e.g. a NUL byte, before Python 3.12 said which file
        return None, SyntaxError(str(error), (path, 1, None, None))


def imports(statements, package):
    """Names below the handler folder that these statements import for certain: what stands below an `if` may never run."""
    for statement in statements:
        if isinstance(statement, ast.Try) and all(catches_imports_only(handler) for handler in statement.handlers):
            yield from imports(statement.body, package)
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name.startswith("function."):
                    yield alias.name[len("function.") :]
        elif isinstance(statement, ast.ImportFrom):
            base = base_of(statement, package)
            if base is None:
                continue
            if base:
                yield base
            for alias in statement.names:
                yield (base + "." if base else "") + alias.name


def base_of(statement, package):
    """The module that `from … import` names, below the handler folder; None when it is elsewhere."""
    module = statement.module or ""
    if statement.level == 0:
        if module == "function" or module.startswith("function."):
            return module[len("function.") :]
        return None
    parts = package.split(".") if package else []
    ups = statement.level - 1
    if ups > len(parts):
        return None
    return ".".join(parts[: len(parts) - ups] + ([module] if module else []))


def catches_imports_only(handler):
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(isinstance(kind, ast.Name) and kind.id in IMPORT_ERRORS for kind in kinds)


def python_files():
    for folder, folders, files in os.walk("."):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(".py"):
                yield os.path.normpath(os.path.join(folder, name))


def warn_of(paths):
    count = 0
    for path in paths:
        _, error = parse(path)
        if error is None:
            continue
        count += 1
        if count <= WARNINGS_SHOWN:
            print(f"warning: {path}:{error.lineno}: {error.msg} (not imported when the function is loaded)")
    if count > WARNINGS_SHOWN:
        print(f"warning: {count - WARNINGS_SHOWN} more such files")


sys.exit(main())
