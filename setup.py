"""Puts what a new project starts from into the wheel, for `ui2i init`. All other metadata is in pyproject.toml."""

import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SHIPPED = Path("tasks/project/shipped")


class BuildWithShippedFiles(build_py):
    """Copies the clone's own files into the package at the moment of the build, so that no second copy can differ."""

    def run(self):
        """Build the packages, then add the files. An editable installation reads them from the clone."""
        super().run()
        if not self.editable_mode:
            for name in self._names():
                target = Path(self.build_lib) / SHIPPED / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)

    def get_source_files(self):
        """Return what a source distribution needs, from which the same wheel can be built."""
        return [*super().get_source_files(), *self._names()]

    @staticmethod
    def _names():
        return runpy.run_path(str(ROOT / f"{SHIPPED}.py"))["shipped_files"](ROOT)


setup(cmdclass={"build_py": BuildWithShippedFiles})
