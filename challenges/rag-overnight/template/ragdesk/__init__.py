"""ragdesk: answers questions from the documents that the person who asks may see.

settings = load(Path("."))
run(settings, Path("data/dev/corpus"), Path("state/index"), models)
desk = Desk(settings, Path("state/index"), models)
desk.ask({"qid": "q1", "question": "...", "user": {"id": "u1", "tenant": "t", "roles": []}, "ts": 0})
"""
