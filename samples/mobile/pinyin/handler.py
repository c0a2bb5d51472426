import pinyin

def handle(req):
    return pinyin.get(str(req), format="strip", delimiter=" ")
