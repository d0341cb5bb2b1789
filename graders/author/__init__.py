"""What a challenge's author does from a terminal: begin one, prove it, look at a form, grade a folder.

cli ─► proof ─► trials ─► graders.grading      each solution and each planted cheat, as a worker would grade it
         ├────► handouts, calibrations         forms that are fit, and what each solution hands in on them
         └────► cheats ─► attacks
"""
