import Layers

/// A request with trajectories that have not begun, and the state of its prompt.
struct WaitingRequest {
  let number: Int
  let request: Sampler.Request
  /// The maximum number of generated tokens of a trajectory.
  let limit: Int
  /// Keys and values of the prompt, which the trajectories share.
  let cache: KeyValueCache
  private var readTokens = 0
  private var latents: [UInt8] = []
  private var begun = 0
  /// h at the last position that the layers have read.
  private(set) var hidden: [Float] = []

  init(number: Int, request: Sampler.Request, limit: Int, cache: KeyValueCache) {
    self.number = number
    self.request = request
    self.limit = limit
    self.cache = cache
  }

  /// The id that keys the prompt's latents.
  var promptID: UInt64 { request.promptID }
  /// The tokens that the layers have not read, numbered by position.
  var unread: ArraySlice<Int32> { request.prompt[readTokens...] }
  /// Number of trajectories that have not begun.
  var remaining: Int { request.trajectories.count - begun }

  /// Notes that the layers have read `count` more tokens.
  mutating func read(_ count: Int, latents: [UInt8], hidden: some Collection<Float>) {
    readTokens += count
    self.latents += latents
    self.hidden = Array(hidden)
  }

  /// The next trajectory, which shares the prompt's keys and values.
  mutating func begin() -> LivingSequence {
    defer { begun += 1 }
    return LivingSequence(
      request: number, sample: begun, id: request.trajectories[begun], promptID: promptID, prompt: request.prompt,
      latents: latents, limit: limit, cache: KeyValueCache(sharing: request.prompt.count, of: cache))
  }
}
