"""The web application: pages, REST, accounts and jobs over collections.

Only this package knows Django. A web process answers requests and never indexes; a worker process
takes jobs from the database. Everything else is asked of the library, by the same query value as in
Python and on the command line.
"""
