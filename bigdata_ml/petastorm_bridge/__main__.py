"""`python -m bigdata_ml.petastorm_bridge SCRIPT.py ARGS…` or `-m MODULE ARGS…`: runs a program with the bridge installed."""

import os
import runpy
import sys

from bigdata_ml.petastorm_bridge.hook import private_builtins

_USAGE = "usage: python -m bigdata_ml.petastorm_bridge (SCRIPT.py | -m MODULE) [ARGUMENT ...]"


def main() -> None:
    """Run the script or module named by the first argument, with the remaining arguments."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["-m"] and len(arguments) > 1:
        _run_module(*arguments[1:])
    elif arguments and not arguments[0].startswith("-"):
        _run_script(*arguments)
    else:
        print(_USAGE, file=sys.stderr)
        raise SystemExit(0 if arguments in (["-h"], ["--help"]) else 2)


def _run_module(module: str, *arguments: str) -> None:
    sys.argv = [module, *arguments]
    own = module == "petastorm" or module.startswith("petastorm.")
    runpy.run_module(module, {"__builtins__": private_builtins(module)} if own else None, "__main__", alter_sys=True)


def _run_script(script: str, *arguments: str) -> None:
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.realpath(script))  # as Python itself does
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
