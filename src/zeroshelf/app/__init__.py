"""The app: everything from a folder to its shelves and back, served to this machine's browser only.

allowed      which folders the app may look into
settings     what the app remembers: recent folders, their labels, the chosen model
jobs         work in the background that no page has to wait for
folder       the open folder: what is in it, its vectors in memory, its labels
shelves      a run -> what the page shows of each label and of "other"
run_pages    saved runs: their plans, review pages, apply and undo
model_list   the models, and getting one
operations   the addresses with what each takes: requests are checked by it, /openapi.json is it
state        the app's state: a method for each address
server       the web application
address      where the app that runs now is reached
"""
