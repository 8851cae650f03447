# ruff: noqa: E501 - a phrase is easier to read whole than cut
"""Words that say whose business a text is: health, law, personnel. Phrases as `phrases.py` explains.

Single words that honest questions are full of ("insurance", "vaccine", "vacation") are left out on purpose.
"""

SENSITIVE: dict[str, list[str]] = {
    "somebody's health": [
        "(diagnosed|diagnosis|diagnoses|misdiagnosed) (with|of|for)?", "(my|his|her|their|patients|patient|your) (diagnosis|medication|medications|prescription|prescriptions|therapist|psychiatrist|oncologist|surgery|chemotherapy|biopsy|symptoms|illness|disability|pregnancy|miscarriage|cancer|tumor|tumour|diabetes|depression|hiv)",
        "(medical|health|patient|clinical) (record|records|history|condition|conditions|file|files|data|report|chart|leave|certificate)", "patient (id|name|number|identifier|mrn)",
        "(hiv|hepatitis|chemotherapy|leukemia|leukaemia|schizophrenia|bipolar disorder|suicidal|suicide attempt|self harm|psychotherapy|miscarriage|dialysis|metastas*|carcinoma|epilepsy|anorexia|overdose)",
        "(is|was|am|im|are|being|been) (pregnant|hospitalised|hospitalized|in hospital|disabled|terminally ill|on sick leave|suicidal)",
        "(suffers|suffer|suffering|suffered) from (a|an)? (depression|anxiety|cancer|diabetes|illness|disease|disorder|condition|asthma|epilepsy|burnout|migraine*)",
        "(test|tested) positive for", "(blood|lab|covid) test results?", "(doctors|medical|sick) note", "(icd 10|icd10|phi|hipaa)",
        "(krankschreibung|krankgeschrieben|krankenakte|diagnose|schwanger|schwangerschaft|schwerbehindert*|chemotherapie|patientenakte|befund|arbeitsunfahig*)",
        "(dossier medical|arret maladie|enceinte|diagnostic medical|ordonnance medicale|cancer du)", "(historia clinica|historial medico|baja medica|embarazada|diagnosticad*)",
        "(cartella clinica|certificato medico|incinta|diagnosi di)", "(prontuario medico|atestado medico|gravida|diagnosticad*)", "(medisch dossier|ziekteverlof|zwanger|ziekmelding)",
    ],
    "law": [
        "(lawyer|lawyers|attorney|attorneys|solicitor|solicitors|barrister|legal counsel|law firm|legal department|legal team)", "(lawsuit|lawsuits|litigation|subpoena|subpoenaed|affidavit|injunction|plaintiff|defendant|arbitration)",
        "(legal|court) (action|proceedings|claim|notice|threat|advice|dispute|order|case|hearing|date|summons|settlement|hold|opinion)",
        "(sue|suing|sued) (you|us|the company|them|me|for|your)", "(cease and desist|breach of contract|attorney client|without prejudice|statute of limitations|settlement agreement|non disclosure agreement|power of attorney)",
        "(take|taking|taken|see) (you|us|this|it|them|him|her) (to|in) court", "(criminal|police) (charges|complaint|investigation|report|record)", "(press|pressing) charges",
        "(gdpr|ccpa|data subject|right to be forgotten|right to erasure|subject access request|dsar|data protection (officer|authority|act|request))",
        "(rechtsanwalt*|anwaltin|mein anwalt|klage|verklag*|gerichtlich*|abmahnung|einstweilige verfugung|dsgvo|datenschutz*|strafanzeige|rechtliche schritte)",
        "(avocat|mon avocat|porter plainte|poursuites|tribunal|mise en demeure|rgpd|action en justice)", "(abogado|abogada|demanda judicial|demandar*|juzgado|tribunal|rgpd|acciones legales)",
        "(avvocato|querela|tribunale|diffida|vie legali|azione legale)", "(advogado|advogada|processo judicial|tribunal|processar voces|lgpd|acao judicial)", "(advocaat|rechtszaak|rechtbank|aanklagen|avg verzoek|juridische stappen)",
        "(адвокат*|суд|иск|прокуратур*)", "律师", "起诉", "弁護士", "訴訟", "변호사", "소송",
    ],
    "personnel": [
        "(performance review|performance improvement plan|disciplinary (action|hearing|procedure|measure|measures|warning)|termination of employment|wrongful termination|unfair dismissal|severance (pay|package|agreement)?)",
        "(salary|salaries|bonus|wage|wages) of", "(salary|compensation|wage|pay) (slip|slips|stub|stubs|review|increase for|band|bands|data|details|history|list|spreadsheet)", "(his|her|their|employees|employee|staff|colleagues|everyones) (salary|salaries|wage|wages|bonus|compensation|payslip|payslips|personnel file|performance|termination|dismissal|resignation|sick days)",
        "(payroll|payslip|payslips|personnel file|personnel files|employee (record|records|file|files|data|id|review))", "(was|is|being|been|get|got|be|to be|were|will be) (fired|laid off|dismissed|terminated from|let go|made redundant|demoted)",
        "(sexual|workplace) (harassment|misconduct|discrimination|assault)", "(harassment|discrimination|bullying|grievance|misconduct) (complaint|case|allegation|allegations|report|claim|claims|investigation)", "(hr|internal) (investigation|complaint|case|file)", "(layoff|layoffs|redundancies|redundancy)", "(maternity|paternity|parental) leave", "(background|criminal record) check", "works council", "trade union member*",
        "(kundigung des|gekundigt|abmahnung|personalakte*|gehalt*|gehaltsabrechnung|lohnabrechnung|betriebsrat|aufhebungsvertrag|elternzeit|mutterschutz)", "(licenciement|bulletin de (paie|salaire)|dossier du personnel|harcelement|conge maternite)",
        "(despido|despedir|nomina|nominas|expediente laboral|acoso laboral|baja por maternidad)", "(licenziamento|busta paga|molestie sul lavoro|fascicolo personale)", "(demissao|folha de pagamento|holerite|assedio)", "(ontslag|loonstrook|salaris van|personeelsdossier|zwangerschapsverlof)",
    ],
    "religion, origin, belief or sexual life": ["(sexual orientation|political opinion|political opinions|religious belief|religious beliefs|ethnic origin|racial origin|trade union membership|genetic data|biometric data)"],
}  # fmt: skip
