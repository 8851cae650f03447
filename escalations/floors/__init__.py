"""Pure judgement: what an incident is, what fires, which rules match, who must look. Nothing here writes."""
