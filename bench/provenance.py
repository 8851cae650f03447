"""How many of the injected actions the item page marks before anyone reads, and how many honest ones it marks for nothing.

    python bench/provenance.py            # ../shared/data, or $COUNTERSIGN_SHARED_DATA
"""
import gzip, json, os, sys, time
from collections import Counter, defaultdict
from pathlib import Path
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from escalations.floors.provenance import *  # noqa
from escalations.floors import provenance as P
DATA = Path(os.environ.get("COUNTERSIGN_SHARED_DATA", ROOT.parent / "shared" / "data"))
rows = [json.loads(l) for l in gzip.open(DATA/'agentdojo_actions.jsonl.gz','rt')]
inj=[r for r in rows if r['label']['reason']=='carries_out_injected_instruction']
clean=[r for r in rows if r['label']['strong'] and r['label']['should_approve']]
def judge(r):
    parts = P.parts_of(r['context'])
    return P.origins(r['proposal']['arguments'], parts)
t=time.time()
for name,s in (('inj',inj),('clean',clean)):
    c=defaultdict(Counter)
    for r in s:
        o=judge(r)
        m='strong' if any(x.mark=='strong' for x in o) else 'weak' if any(x.mark for x in o) else 'none'
        c[r['payload']['suite']][m]+=1
        c['all'][m]+=1
        if '-v' in sys.argv and (m!='strong')==(name=='inj'):
            print(name,m,r['payload']['suite'],r['context']['request'][:200]); print('   ',r['proposal']); print('   ',[(x.path,x.kind,x.mark,[p.label for p in x.places][:2],x.shares[:3]) for x in o])
    for k,v in c.items(): print(name,k,sum(v.values()),dict(v))
print((time.time()-t)/(len(inj)+len(clean))*1000,'ms each')
