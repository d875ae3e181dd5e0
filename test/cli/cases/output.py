from harness import registry
CASES, case = registry()
