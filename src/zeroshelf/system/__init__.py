"""What operating systems and file systems differ in, and zeroshelf's own places in them.

No module outside of this package asks which system it runs on, or calls what only some systems
have: tests/test_house.py checks it. Each function looks up what a system may lack when it is
called, and its docstring says what happens without it.

Callers import the module that they need (`from zeroshelf.system import renaming`); this file
re-exports nothing, so that every function has one name, in tests too.

- machine: which system, processors, memory, font folders, ports
- users: who runs this process, and what that user may do
- renaming, links: names for files, never over an existing one
- file_io, file_attributes, content_hash: a file's content, what it has beside it, its digest
- os_errors: what an OSError means
- path_spelling, file_names, folder_identity: separators and drives, portable names, whether two
  paths lead to the same folder
- mounts: what is known of a file system
- app_folders: the folders of zeroshelf's own files
- shortcuts: an entry for the app among the system's programs
- streams, telemetry: standard streams; libraries imported without their telemetry
- services, trash, drives: service files, the system's trash, drives that are plugged in
- spooled, text_files, file_versions, uris, ahead: long lists on the disk, files that users write,
  versions of zeroshelf's own files, addresses on object stores, work that is begun ahead
"""
