"""The output of a run: results, report and contact sheet."""
