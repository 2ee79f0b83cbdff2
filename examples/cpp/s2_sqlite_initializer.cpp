// A pool whose workers each open a database once, in the pool's initializer.

#include <sqlite3.h>

#include <cstdint>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "list.hpp"

using Column = std::variant<std::int64_t, std::string>;
struct Row {
  std::vector<Column> columns;
};

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

Database g_database;  // each worker's own: nothing of it is shared

Database connect(const std::string& file) {
  sqlite3* opened = nullptr;
  const bool ok = sqlite3_open(file.c_str(), &opened) == SQLITE_OK;
  Database database(opened);
  if (!ok) throw std::runtime_error(sqlite3_errmsg(opened));
  return database;
}

void init_worker() { g_database = connect("data.db"); }

Column column(sqlite3_stmt* row, int index) {
  if (sqlite3_column_type(row, index) == SQLITE_INTEGER) return sqlite3_column_int64(row, index);
  return reinterpret_cast<const char*>(sqlite3_column_text(row, index));
}

std::vector<Row> query_database(const std::string& query) {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(g_database.get(), query.c_str(), -1, &prepared, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sqlite3_errmsg(g_database.get()));
  }
  const Statement statement(prepared);
  std::vector<Row> rows;
  while (sqlite3_step(prepared) == SQLITE_ROW) {
    auto& columns = rows.emplace_back().columns;
    for (int i = 0; i < sqlite3_column_count(prepared); ++i) columns.push_back(column(prepared, i));
  }
  return rows;
}

void fill_database() {
  const Database database = connect("data.db");
  const char* commands = R"(
      create table if not exists t (k integer, v text);
      delete from t;
      with recursive n(k) as (select 0 union all select k + 1 from n where k < 999)
      insert into t select k, 'row ' || k from n;)";
  if (sqlite3_exec(database.get(), commands, nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sqlite3_errmsg(database.get()));
  }
}

// Python's way to write a tuple: ('row 0',) or (1000, 499500).
std::ostream& operator<<(std::ostream& to, const Row& row) {
  const char* gap = "(";
  for (const Column& each : row.columns) {
    to << gap;
    if (const auto* text = std::get_if<std::string>(&each)) {
      to << '\'' << *text << '\'';
    } else {
      to << std::get<std::int64_t>(each);
    }
    gap = ", ";
  }
  return to << (row.columns.size() == 1 ? ",)" : ")");
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  fill_database();
  std::vector<std::string> queries;
  for (int i = 0; i < 50; ++i) {
    queries.push_back("select v from t where k = " + std::to_string(i * 37 % 1000));
  }
  queries.push_back("select count(*), sum(k) from t");

  forkful::Pool pool({.initializer = init_worker});
  for (const auto& rows : pool.map(query_database, queries)) std::cout << list(rows) << '\n';
}
