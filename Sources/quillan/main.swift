import Exports
import Foundation
import Tensors
import Training

let golden = try GoldenCase(path: CommandLine.arguments[1])
let comparison = try GoldenComparison(golden, Context(threads: 1))
for row in comparison.rows where !row.passed || CommandLine.arguments.count > 2 {
  print(row.name, row.measure, row.error, row.tolerance, row.passed)
}
print(comparison.passed)
