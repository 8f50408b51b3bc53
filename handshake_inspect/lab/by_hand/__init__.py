"""The programs of the socket tutorials, for two terminals and more: `echo serve`, `echo connect`, `echo chat`.

Reading order: `meanings` (what an error of a call means to whom), `echo_plans` (where, and how), `closing`,
`echo_server`, `echo_client`; `chat` (what is said over UDP), `chat_server`, `chat_client`.
"""
