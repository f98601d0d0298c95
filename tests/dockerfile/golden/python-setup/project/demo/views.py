views = []
