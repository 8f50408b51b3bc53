"""The programs of the socket tutorials, for two terminals and more: `echo serve`, `echo connect`, `echo chat`.

The modules, in an order in which each imports only from those before it:

- `meanings`: what an error of a socket call means, and what to do about it.
- `echo_plans`: where the programs meet, and how each of them behaves.
- `closing`: how they close.
- `echo_server`, `echo_client`: the echo.
- `chat`: what the chat says over UDP.
- `chat_server`, `chat_client`: the chat.
"""
