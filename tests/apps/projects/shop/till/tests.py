from django.test import TestCase

from till.models import Sale


class Sums(TestCase):
    def test_a_sale_is_kept(self):
        Sale.objects.create(item="bread", cents=250)
        self.assertEqual(Sale.objects.get().cents, 250)

    def test_each_test_begins_with_an_empty_till(self):
        self.assertEqual(Sale.objects.count(), 0)


class Wrong(TestCase):
    def test_the_sum_is_wrong(self):
        Sale.objects.create(item="milk", cents=120)
        self.assertEqual(sum(sale.cents for sale in Sale.objects.all()), 121)


class Subtests(TestCase):
    def test_of_several_items(self):
        for cents in range(3):
            with self.subTest(cents=cents):
                self.assertEqual(Sale.objects.create(item="x", cents=cents).cents, cents)
