"""luigi with two workers: the tasks run in processes."""

import luigi


class Write(luigi.Task):
    number = luigi.IntParameter()

    def output(self):
        return luigi.LocalTarget(f"out-{self.number}.txt")

    def run(self):
        with self.output().open("w") as file:
            print(self.number**2, file=file)


class Sum(luigi.Task):
    def requires(self):
        return [Write(number) for number in range(6)]

    def output(self):
        return luigi.LocalTarget("sum.txt")

    def run(self):
        total = sum(int(each.open().read()) for each in self.input())
        with self.output().open("w") as file:
            print(total, file=file)


if __name__ == "__main__":
    done = luigi.build([Sum()], workers=2, local_scheduler=True, log_level="ERROR")
    print(done, open("sum.txt").read())
