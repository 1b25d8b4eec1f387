.PHONY: check format

check:
	ruff format --check .
	ruff check .
	mypy core
	pytest

format:
	ruff format .
	ruff check --fix .
