import * as accessSchema from "./access-schema.ts";
import * as cronSchema from "./cron-schema.ts";
import * as feedbackSchema from "./feedback-schema.ts";
import * as figuresSchema from "./figures-schema.ts";
import * as fleetSchema from "./fleet-schema.ts";
import * as investigationSchema from "./investigation-schema.ts";
import * as schema from "./schema.ts";
import * as sessionSchema from "./session-schema.ts";
import * as slackSchema from "./slack-schema.ts";

/** All that the files of the schema declare: for whoever must leave none out. */
export const DECLARED = {
  ...schema,
  ...accessSchema,
  ...cronSchema,
  ...fleetSchema,
  ...figuresSchema,
  ...investigationSchema,
  ...sessionSchema,
  ...feedbackSchema,
  ...slackSchema,
};
