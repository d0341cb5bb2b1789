# print 42
