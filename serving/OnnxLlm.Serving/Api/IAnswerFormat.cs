using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>What differs between the two generation routes' answers: names, and the shape of a choice.</summary>
internal interface IAnswerFormat
{
    string IdPrefix { get; }

    /// <summary>What traces call it.</summary>
    string Operation { get; }

    /// <summary>The <c>object</c> of a whole answer.</summary>
    string WholeName { get; }

    /// <summary>The <c>object</c> of a streamed piece.</summary>
    string PieceName { get; }

    /// <summary>What a stream begins a choice with, or null.</summary>
    JsonObject? Opening(int choice);

    /// <summary>A streamed piece: text, or the reason why the choice ends.</summary>
    JsonObject Piece(int choice, string text, ImmutableArray<ScoredToken> scores, FinishReason? finish);

    JsonObject Whole(int choice, string text, ImmutableArray<ScoredToken>? scores, FinishReason finish);
}
