from django.db import models


class Sale(models.Model):
    item = models.CharField(max_length=20)
    cents = models.IntegerField()
