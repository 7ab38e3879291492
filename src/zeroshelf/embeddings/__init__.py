"""Pictures -> vectors, each picture embedded once and cached."""
