using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>An answer ends before its time for a reason that the client is told.</summary>
internal sealed class AnswerException(ApiError error, Exception? inner = null) : Exception(error.Message, inner)
{
    public ApiError Error => error;

    /// <summary>What the client of a request that failed is told: the reason, or where the log has it.</summary>
    public static ApiError ErrorOf(Exception fault, HttpContext context) => fault is AnswerException told ? told.Error : ApiError.Internal(RequestRecord.Of(context).Id);
}
