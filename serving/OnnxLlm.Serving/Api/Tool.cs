using System.Collections.Immutable;
using System.Text.Json;

namespace OnnxLlm.Serving.Api;

/// <summary>A function that the client can call for the model.</summary>
/// <param name="Name">Letters, digits, <c>_</c> and <c>-</c>.</param>
/// <param name="Json">The whole definition, as the client wrote it.</param>
/// <param name="Parameters">The JSON schema that its arguments keep to.</param>
internal sealed record Tool(string Name, string Json, JsonElement Parameters);

/// <summary>Functions on offer, and what the answer may look like because of them.</summary>
/// <param name="Offered">All that the client has, for the prompt.</param>
/// <param name="Format">Which of them may or must be called.</param>
internal sealed record ToolOffer(ImmutableArray<Tool> Offered, ConstraintSpec Format);
