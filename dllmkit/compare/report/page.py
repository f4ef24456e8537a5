from pathlib import Path
def write_report(results, out, unless_there=False): pass
