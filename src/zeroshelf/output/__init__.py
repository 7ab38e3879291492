"""What leaves a run: results, report and contact sheet."""
