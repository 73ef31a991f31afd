namespace OnnxLlm.Serving.Api;

/// <summary>One turn of a conversation; <c>developer</c> is already <c>system</c>.</summary>
internal sealed record ChatMessage(string Role, string Content);
