"""Installs what a function asks for, in the dependency layer of its image: see README.md, "Packages"."""

import os
import subprocess
import sys
import sysconfig

WANTED = os.path.dirname(os.path.abspath(__file__))
PIP_CONF = "/run/secrets/pip.conf"


def main(contract):
    asked = ["-r", os.path.join(WANTED, "classic.txt" if contract == "classic" else "flask.txt")]
    pip(asked)
    asked = []
    if has_lines("requirements.txt"):
        asked += ["-r", os.path.join(WANTED, "requirements.txt")]
    asked += dependencies("pyproject.toml")
    if asked:
        pip(["--upgrade", *asked] if os.environ.get("UPGRADE_PACKAGES") in ("true", "1") else asked)


def pip(arguments):
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
    if os.path.exists(PIP_CONF):
        environment["PIP_CONFIG_FILE"] = PIP_CONF
    # The cache is BuildKit's mount, or nothing: in a layer it would only make that larger.
    if not os.path.ismount("/root/.cache/pip"):
        environment["PIP_NO_CACHE_DIR"] = "1"
    done = subprocess.run([sys.executable, "-m", "pip", "install", *arguments], env=environment)
    if done.returncode != 0:
        sys.exit(done.returncode)


def has_lines(name):
    path = os.path.join(WANTED, name)
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8-sig") as file:
        return any(line.strip() and not line.lstrip().startswith("#") for line in file)


def dependencies(name):
    """[project].dependencies; what else a pyproject.toml may hold is for tools that are not here."""
    path = os.path.join(WANTED, name)
    if not os.path.exists(path):
        return []
    try:
        with open(path, "rb") as file:
            asked = toml().load(file)
    except ValueError as error:
        sys.exit(f"{name} is no TOML: {error}")
    project = asked.get("project")
    if project is None:
        if "poetry" in asked.get("tool", {}):
            refuse(name, "has [tool.poetry] and no [project]")
        return []
    if "dependencies" in project.get("dynamic", []):
        refuse(name, 'says dynamic = ["dependencies"], which only its build backend could tell')
    check_version(name, project.get("requires-python"))
    found = project.get("dependencies", [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        sys.exit(f"{name}: [project] dependencies must be a list of texts")
    return found


def refuse(name, what):
    if has_lines("requirements.txt"):
        print(f"{name} {what}; requirements.txt alone is installed")
        return
    sys.exit(
        f"{name} {what}, so nobody knows what to install.\n"
        'Write [project] with dependencies = ["…"] (Poetry 2 reads that too), or put the packages into requirements.txt,\n'
        "for example with: poetry export -o requirements.txt"
    )


def check_version(name, wanted):
    if not wanted:
        return
    from pip._vendor.packaging.specifiers import SpecifierSet

    here = sysconfig.get_python_version()
    full = sys.version.split()[0]
    if not SpecifierSet(wanted).contains(full, prereleases=True):
        sys.exit(f"{name} asks for Python {wanted}, and this is {full}. Set build_args: PYTHON_VERSION, here {here}.")


def toml():
    try:
        import tomllib
    except ImportError:  # before Python 3.11
        try:
            from pip._vendor import tomli as tomllib
        except ImportError:
            sys.exit("this Python cannot read pyproject.toml: use 3.11 or newer, or requirements.txt")
    return tomllib


main(sys.argv[1])
