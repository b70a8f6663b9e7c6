print("quillan")
