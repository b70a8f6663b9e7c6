/// The cluster of a plan.
public struct ClusterDescription: Sendable, Equatable {
  public var hosts: Int
  /// Cores per host; the run uses all of them.
  public var cores: Int
  /// Memory per host in bytes.
  public var memory: Int
  /// Bandwidth of the link of a host in bytes per second, in each direction at once.
  public var link: Double
  /// Latency of a message between hosts, in seconds.
  public var latency: Double

  public init(hosts: Int, cores: Int, memory: Int, link: Double, latency: Double) {
    self.hosts = hosts
    self.cores = cores
    self.memory = memory
    self.link = link
    self.latency = latency
  }
}
