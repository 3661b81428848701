# make study: the study on the built-in corpora   make book: the results on recordings, to read   make test: the tests
# make lab: JupyterLab on the notebooks
PYTHON  ?= python3
PROFILE ?= quick
JOBS    ?= 2
VENV    := .venv
RUN     := $(VENV)/bin/python
READY   := $(VENV)/.installed

.PHONY: study book test lab bench reports pairs clean

# torch first, by the version whose Linux wheel is a CPU build where one is offered: newer ones bring CUDA along.
$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "audiotl needs Python 3.11 or newer; set PYTHON=")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check "torch==2.13.0" "torchaudio==2.11.0"
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@

# The built-in corpora are made while the book is.
study: $(READY)
	$(RUN) -m audiotl data fetch built-in & $(RUN) -m audiotl book && wait
	@echo "That is the study on recordings, to read while the notebooks run on yours or on built-in sounds."
	$(RUN) -m audiotl report --profile $(PROFILE) --jobs $(JOBS)

book: $(READY)
	$(RUN) -m audiotl book

test: $(READY)
	$(RUN) -m ruff check audiotl tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lab: $(READY) pairs
	$(RUN) -m audiotl data fetch built-in
	$(RUN) -m jupyter lab --config=.jupyter/lab_config.py

bench: $(READY)
	$(RUN) -m audiotl bench

reports: $(READY)
	$(RUN) -m audiotl report --profile full --out reports/real --resume

pairs: $(READY)
	$(RUN) -m jupytext --sync notebooks/[0-9]*.py

clean:
	rm -rf $(VENV) *.egg-info reports/real/book reports/smoke reports/quick reports/lab
