"""Room four: outcomes, touches and refusals become fact rows, once.

Pure: ``facts.facts_of`` says which rows an entry gives, ``days`` which day each is booked on, ``handles`` by what a person
can ask for it. The role ``recorder`` reads the journal and writes the rows.
"""
