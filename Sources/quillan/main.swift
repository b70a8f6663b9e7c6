import Exports
import Foundation
import MPI
import Tensors
import Training

let a = CommandLine.arguments
Environment.run { communicator in
  let configuration = try RunConfiguration.load(path: a[2], overrides: Array(a.dropFirst(5)))
  let assembly = try RunAssembly(configuration, file: a[2], communicator: communicator)
  let run = TrainingRun(assembly, name: a[3])
  let outcome = a[1] == "pretrain" ? try run.pretrain(weights: nil) : try run.train(weights: a[4])
  if communicator.rank == 0 {
    print(outcome.before, outcome.after, outcome.seconds)
    for e in outcome.examples { print(e.prompt, e.completion, e.answer ?? "") }
  }
  return 0
}
