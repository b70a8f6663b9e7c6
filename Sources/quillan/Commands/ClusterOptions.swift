import ArgumentParser
import Foundation
import Planning
import Tensors

/// The hosts of a plan.
struct ClusterOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Plan a run on this many hosts.", valueName: "n"))
  var hosts: Int?

  @Option(
    help: ArgumentHelp("Ranks per host (default: try each divisor of the number of cores).", valueName: "n"))
  var ranksPerHost: Int?

  @Option(help: ArgumentHelp("Cores per host (default: as this machine).", valueName: "n"))
  var cores: Int?

  @Option(help: ArgumentHelp("Memory per host, such as 64GiB (default: as this machine).", valueName: "size"))
  var memory: String?

  @Option(help: ArgumentHelp("Bandwidth of a host's link per second, such as 25Gbit or 1.2GB.", valueName: "rate"))
  var link = "10Gbit"

  @Option(help: ArgumentHelp("Latency of a short message between hosts.", valueName: "time"))
  var latency = "20us"

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Measured rates: the JSON output of 'bench train-step', 'decode', 'memory' or 'mpi'. Repeatable.",
      valueName: "file"))
  var calibration: [String] = []

  func validate() throws {
    for (name, value, maximum) in [
      ("hosts", hosts, 1_000_000), ("ranks-per-host", ranksPerHost, 4096), ("cores", cores, 4096),
    ] {
      if let value, !(1...maximum).contains(value) {
        throw ValidationError("--\(name) must be from 1 to \(maximum), got \(value)")
      }
    }
    for file in calibration { try PathCheck.validate(["--calibration": file]) }
    if hosts == nil, ranksPerHost != nil || cores != nil || memory != nil || !calibration.isEmpty {
      throw ValidationError("--ranks-per-host, --cores, --memory and --calibration need --hosts")
    }
    if QuantityText.rate(link) == nil {
      throw ValidationError("--link '\(link)' is not a rate; write it as 10Gbit or 1.2GB")
    }
    if QuantityText.seconds(latency) == nil {
      throw ValidationError("--latency '\(latency)' is not a time; write it as 20us or 0.5ms")
    }
    if let memory, QuantityText.bytes(memory) == nil {
      throw ValidationError("--memory '\(memory)' is not a size; write it as 64GiB or 512GB")
    }
  }

  /// - Precondition: the options are valid.
  func description(hosts: Int) throws -> ClusterDescription {
    let machine = ProcessInfo.processInfo
    guard let link = QuantityText.rate(link), let latency = QuantityText.seconds(latency) else {
      preconditionFailure("--link \(link) or --latency \(latency) was not validated")
    }
    return ClusterDescription(
      hosts: hosts, cores: cores ?? UsableCores.current.count,
      memory: memory.flatMap(QuantityText.bytes) ?? Int(machine.physicalMemory), link: link, latency: latency)
  }
}
