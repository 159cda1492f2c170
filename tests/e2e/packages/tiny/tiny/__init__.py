from ._kernel import answer, launcher
